//! Pictures as SVG: lines, a panel a quantity, all over the same minutes or the same names; and bars.
//!
//! A point of a line is the largest value of a few, so that no peak is lost. Colours follow the reader's choice of light
//! or dark. Absent on purpose: anything that a picture in a document does not need, such as scales other than
//! those that begin at zero.

use std::fmt::Write as _;

/// The size of the whole, and of the part of each panel that lines are drawn in, in pixels.
const WIDTH: u64 = 860;
const LEFT: u64 = 76;
const RIGHT: u64 = 20;
const PANEL_HEIGHT: u64 = 110;
/// Between two panels there is room for a title, and below the last for the minutes.
const TITLE_HEIGHT: u64 = 44;
const FOOT_HEIGHT: u64 = 44;
/// The most points of a line.
const POINTS_MAX: usize = 400;
/// About so many minutes are written below.
const TICKS: u64 = 6;

const STYLE: &str = "<style>\
    svg{--ink:#1f2328;--soft:#656d76;--grid:#d8dee4;--back:#ffffff;--a:#0969da;--b:#bc4c00;--c:#1a7f37}\
    @media(prefers-color-scheme:dark){svg{--ink:#e6edf3;--soft:#9198a1;--grid:#30363d;--back:#0d1117;--a:#58a6ff;--b:#f0883e;--c:#3fb950}}\
    text{font:12px system-ui,sans-serif;fill:var(--soft)}.title{font-weight:600;fill:var(--ink)}\
    .grid{stroke:var(--grid);stroke-width:1}polyline{fill:none;stroke-width:1.5;stroke-linejoin:round}\
    rect.a{fill:var(--a)}rect.b{fill:var(--b)}\
    .a{stroke:var(--a)}.b{stroke:var(--b)}.c{stroke:var(--c)}text.a{fill:var(--a)}text.b{fill:var(--b)}text.c{fill:var(--c)}\
    text.a,text.b,text.c,rect{stroke:none}</style>";
const CLASSES: [&str; 3] = ["a", "b", "c"];

/// Bars are this high, this far apart, and begin right of their names.
const BAR_HEIGHT: u64 = 16;
const BAR_PITCH: u64 = 26;
const BAR_LEFT: u64 = 340;
/// Right of the longest bar there is room for its value.
const BAR_RIGHT: u64 = 90;

/// What a panel's values are of, from left to right.
pub enum Axis<'a> {
    /// A value a second; the minutes are written below.
    Minutes,
    /// A value a name.
    Names(&'a [&'a str]),
}

/// One quantity.
pub struct Line<'a> {
    /// What it is.
    pub name: &'a str,
    /// A value a place on the axis.
    pub values: Vec<u64>,
}

/// Quantities of one unit.
pub struct Panel<'a> {
    /// What they are, and their unit.
    pub title: &'static str,
    /// At most three.
    pub lines: Vec<Line<'a>>,
}

/// One value among others of its unit.
pub struct Bar<'a> {
    /// What it is of.
    pub name: &'a str,
    /// How long the bar is.
    pub value: u64,
    /// Whether it is the one that the others are there for.
    pub is_ours: bool,
}

/// Draws the panels, one above the other.
pub fn draw(panels: &[Panel<'_>], axis: &Axis<'_>) -> String {
    let height = panels.len() as u64 * (TITLE_HEIGHT + PANEL_HEIGHT) + FOOT_HEIGHT;
    let mut svg = open(height);
    for (number, panel) in panels.iter().enumerate() {
        let top = TITLE_HEIGHT + number as u64 * (TITLE_HEIGHT + PANEL_HEIGHT);
        draw_panel(&mut svg, panel, top);
    }
    match axis {
        Axis::Minutes => draw_minutes(&mut svg, panels, height - FOOT_HEIGHT),
        Axis::Names(names) => draw_names(&mut svg, names, height - FOOT_HEIGHT),
    }
    svg.push_str("</svg>\n");
    svg
}

/// Draws bars, one below the other.
pub fn draw_bars(title: &str, bars: &[Bar<'_>]) -> String {
    let mut svg = open(TITLE_HEIGHT + bars.len() as u64 * BAR_PITCH);
    let most = bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1);
    let _ = writeln!(svg, "<text class=\"title\" x=\"{LEFT}\" y=\"{}\">{title}</text>", TITLE_HEIGHT - 18);
    for (number, Bar { name, value, is_ours }) in bars.iter().enumerate() {
        let top = TITLE_HEIGHT + number as u64 * BAR_PITCH;
        let width = value * (WIDTH - BAR_LEFT - BAR_RIGHT) / most;
        let class = if *is_ours { "a" } else { "b" };
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\
             <rect class=\"{class}\" x=\"{BAR_LEFT}\" y=\"{top}\" width=\"{width}\" height=\"{BAR_HEIGHT}\"/>\
             <text x=\"{}\" y=\"{}\">{}</text>",
            BAR_LEFT - 8,
            top + 12,
            BAR_LEFT + width + 8,
            top + 12,
            grouped(*value)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn open(height: u64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">{STYLE}\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"var(--back)\"/>\n"
    )
}

fn draw_panel(svg: &mut String, panel: &Panel<'_>, top: u64) {
    let most = panel.lines.iter().flat_map(|line| &line.values).max().copied().unwrap_or(0);
    let scale = round_up(most);
    let bottom = top + PANEL_HEIGHT;
    // Writing to a text cannot fail, here and below.
    let _ = writeln!(svg, "<text class=\"title\" x=\"{LEFT}\" y=\"{}\">{}</text>", top - 12, panel.title);
    for (value, y) in [(0, bottom), (scale / 2, top + PANEL_HEIGHT / 2), (scale, top)] {
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8,
            y + 4,
            grouped(value)
        );
    }
    let mut x = WIDTH - RIGHT;
    for (line, class) in panel.lines.iter().zip(CLASSES).rev() {
        if panel.lines.len() > 1 {
            let _ = writeln!(
                svg,
                "<text class=\"{class}\" x=\"{x}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                top - 12,
                line.name
            );
            x = x.saturating_sub(line.name.len() as u64 * 7 + 18);
        }
        let points: Vec<String> = points(&line.values)
            .map(|(second, value)| {
                let x = LEFT * 10 + second * (WIDTH - LEFT - RIGHT) * 10 / line.values.len().max(1) as u64;
                let y = bottom * 10 - value * PANEL_HEIGHT * 10 / scale;
                format!("{}.{},{}.{}", x / 10, x % 10, y / 10, y % 10)
            })
            .collect();
        let _ = writeln!(svg, "<polyline class=\"{class}\" points=\"{}\"/>", points.join(" "));
    }
}

/// The names below the last panel, each where its values are.
fn draw_names(svg: &mut String, names: &[&str], bottom: u64) {
    for (number, name) in names.iter().enumerate() {
        let x = LEFT + number as u64 * (WIDTH - LEFT - RIGHT) / names.len() as u64;
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{name}</text>", bottom + 18);
    }
}

/// The minutes below the last panel.
fn draw_minutes(svg: &mut String, panels: &[Panel<'_>], bottom: u64) {
    let seconds =
        panels.iter().flat_map(|panel| &panel.lines).map(|line| line.values.len() as u64).max().unwrap_or(0);
    let step = (seconds / 60 / TICKS).max(1);
    for minute in (0..=seconds / 60).step_by(usize::try_from(step).unwrap_or(1)) {
        let x = LEFT + minute * 60 * (WIDTH - LEFT - RIGHT) / seconds.max(1);
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{minute}</text>", bottom + 18);
    }
    let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2;
    let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">minutes</text>", bottom + 36);
}

/// The points of a line: the first second of a few, and the largest value of them.
fn points(values: &[u64]) -> impl Iterator<Item = (u64, u64)> {
    let step = values.len().div_ceil(POINTS_MAX).max(1);
    values
        .chunks(step)
        .enumerate()
        .map(move |(number, chunk)| ((number * step) as u64, chunk.iter().max().copied().unwrap_or(0)))
}

/// The next of 2, 4, 10, 20, 40, 100 and so on: numbers whose half is round too.
fn round_up(most: u64) -> u64 {
    let mut decade = 1_u64;
    loop {
        for factor in [2, 4, 10] {
            let scale = decade.saturating_mul(factor);
            if scale >= most || scale == u64::MAX {
                return scale;
            }
        }
        decade = decade.saturating_mul(10);
    }
}

/// A number with a comma before every three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round_and_large_enough() {
        let scales: Vec<u64> = [0, 2, 3, 5, 11, 40, 41, 1_001].map(round_up).to_vec();
        assert_eq!(scales, [2, 2, 4, 10, 20, 40, 100, 2_000]);
        assert_eq!([7, 1_000, 1_234_567].map(grouped), ["7", "1,000", "1,234,567"]);
    }

    #[test]
    fn no_peak_is_lost() {
        let mut values = vec![1; 1_800];
        values[777] = 99;
        let points: Vec<(u64, u64)> = points(&values).collect();
        assert!(points.len() <= POINTS_MAX);
        assert_eq!(points.iter().filter(|(_, value)| *value == 99).count(), 1);
    }

    #[test]
    fn a_line_stays_within_its_panel() {
        let line = Line { name: "memory", values: vec![0, 50, 100] };
        let svg = draw(&[Panel { title: "Memory, MiB", lines: vec![line] }], &Axis::Minutes);
        let points = svg.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(points, "76.0,154.0 330.6,99.0 585.3,44.0");
    }

    #[test]
    fn names_stand_below_their_values() {
        let line = Line { name: "deposits", values: vec![10, 20] };
        let svg = draw(&[Panel { title: "Latency", lines: vec![line] }], &Axis::Names(&["50 %", "99 %"]));
        assert!(svg.contains("points=\"76.0,99.0 458.0,44.0\""), "{svg}");
        assert!(svg.contains("x=\"76\" y=\"172\" text-anchor=\"middle\">50 %<"), "{svg}");
        assert!(svg.contains("x=\"458\" y=\"172\" text-anchor=\"middle\">99 %<"), "{svg}");
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bar = |name, value, is_ours| Bar { name, value, is_ours };
        let svg = draw_bars(
            "A second",
            &[bar("bank", 4_000, true), bar("peer", 1_000, false), bar("none", 0, false)],
        );
        let widths: Vec<&str> =
            svg.split("width=\"").skip(2).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(widths, ["430", "107", "0"]);
        assert!(svg.contains("class=\"a\" x=\"340\"") && svg.contains(">4,000<"), "{svg}");
    }
}
