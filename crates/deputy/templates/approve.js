// Double clickjacking: a window above this page closes at the first click of a double click, and the second click falls on
// Approve. So the form is not sent until the page has had the focus for a moment, and each click before then starts the
// moment again. Without scripts the page has a check box instead.
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
