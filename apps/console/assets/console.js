// What pages do with a script: live parts, times in the browser's own zone, copying, and a second click that does
// nothing. Without it every page works; nothing here knows anything about money.

const language = document.documentElement.lang;
const timeFormat = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });

/** Writes times in the zone of the browser. */
function localise(root) {
  for (const time of root.querySelectorAll("time[data-local]")) {
    time.textContent = timeFormat.format(new Date(time.dateTime));
  }
}

/** Keeps a part of the page as the bank draws it. What comes is HTML that the bank itself has escaped. */
function follow(part) {
  const source = new EventSource(part.dataset.live);
  const replace = (event) => {
    part.innerHTML = event.data;
    localise(part);
  };
  const close = () => source.close();
  source.addEventListener("message", replace);
  source.addEventListener("last", (event) => { replace(event); close(); });
  source.addEventListener("gone", close);
  addEventListener("pagehide", close);
}

/** Lets a form be sent once; a page that comes back from the browser's memory can send it again. */
function sendOnce(form) {
  let isSent = false;
  form.addEventListener("submit", (event) => {
    if (isSent) event.preventDefault();
    isSent = true;
  });
  addEventListener("pageshow", () => { isSent = false; });
}

localise(document);
document.querySelectorAll("[data-live]").forEach(follow);
document.querySelectorAll("form[method=post]").forEach(sendOnce);
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = button.dataset.copied;
  });
}
