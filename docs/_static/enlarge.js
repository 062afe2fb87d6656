// A click on a picture of a page fills the window with it, and another one, or Escape, takes it back.
document.addEventListener("click", (event) => {
  const open = document.querySelector("img.enlarged");
  if (open) {
    open.classList.remove("enlarged");
  } else if (event.target.matches("article img") && !event.target.closest("a")) {
    event.target.classList.add("enlarged");
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector("img.enlarged")?.classList.remove("enlarged");
});
