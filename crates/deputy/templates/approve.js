// A click that fell on this page when another window closed above it was not meant for it (double clickjacking). So for a
// moment after the page has got the focus nothing is decided, and who goes on clicking waits on. Where scripts do not run,
// there is a box to tick.
{
  const MOMENT = 700;
  let since = document.hasFocus() ? -Infinity : Infinity;
  const begin = () => { since = performance.now(); };
  addEventListener("focus", begin);
  addEventListener("blur", () => { since = Infinity; });
  document.querySelector("form").addEventListener("submit", (event) => {
    if (performance.now() - since >= MOMENT) return;
    event.preventDefault();
    begin();
    document.querySelector("#again").hidden = false;
  });
}
