//! The password of whoever imports: from the environment, or typed at the terminal unseen. It is no option, because anybody
//! on the machine can read those.

use ports::Secret;

use crate::failure::Failure;

/// Where a script puts it.
const VARIABLE: &str = "BANK_PASSWORD";

/// Reads it.
pub fn read() -> Result<Secret, Failure> {
    match std::env::var(VARIABLE) {
        Ok(password) => Ok(Secret::from(password.as_str())),
        Err(_) => ask(),
    }
}

/// Asks at the terminal, which may not be where the rows come from.
#[cfg(unix)]
fn ask() -> Result<Secret, Failure> {
    use std::fs::File;
    use std::io::{self, BufRead, BufReader, Write};

    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

    let Ok(mut terminal) = File::options().read(true).write(true).open("/dev/tty") else {
        return Err(unasked());
    };
    let mut typed = String::new();
    let mut read = || -> io::Result<()> {
        let usual = tcgetattr(&terminal)?;
        let mut unseen = usual.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        write!(terminal, "Password: ")?;
        tcsetattr(&terminal, OptionalActions::Flush, &unseen)?;
        let read = BufReader::new(&terminal).read_line(&mut typed);
        tcsetattr(&terminal, OptionalActions::Flush, &usual)?;
        writeln!(terminal)?;
        read.map(drop)
    };
    read().map_err(Failure::because("the password cannot be read"))?;
    Ok(Secret::from(typed.trim_end_matches(['\r', '\n'])))
}

#[cfg(not(unix))]
fn ask() -> Result<Secret, Failure> {
    Err(unasked())
}

fn unasked() -> Failure {
    Failure::new(format!("{VARIABLE} is not set, and there is no terminal to ask for the password at"))
}
