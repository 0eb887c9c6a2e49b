// The heatmap's opacity, and the keys: arrows change it, h hides it, j and k go on and back.

const STEP = 5;

const slider = document.getElementById("opacity");
const heatmap = document.getElementById("heatmap");
const value = document.getElementById("opacity-value");

let before = 40; // what h brings back

function show() {
  heatmap.style.opacity = slider.value / 100;
  value.textContent = `${slider.value} %`;
}

function set(percent) {
  slider.value = Math.max(0, Math.min(100, percent));
  sessionStorage.setItem("opacity", slider.value);
  show();
}

function toggle() {
  if (Number(slider.value) > 0) {
    before = Number(slider.value);
    set(0);
  } else {
    set(before);
  }
}

const keys = {
  ArrowLeft: () => slider && set(Number(slider.value) - STEP),
  ArrowRight: () => slider && set(Number(slider.value) + STEP),
  h: () => slider && toggle(),
  j: () => document.getElementById("next")?.click(),
  k: () => document.getElementById("previous")?.click(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  // The slider itself knows the arrows.
  if (event.target === slider && event.key.startsWith("Arrow")) return;
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

if (slider) {
  slider.addEventListener("input", () => set(Number(slider.value)));
  // A reader who wants no heatmap wants none on the next study either.
  const kept = sessionStorage.getItem("opacity");
  if (kept !== null) set(Number(kept));
}
