// Heatmap opacity and keys: arrows change it, h toggles it, j and k open the next and previous study.

const STEP = 5;

const slider = document.getElementById("opacity");
const heatmap = document.getElementById("heatmap");
const value = document.getElementById("opacity-value");

let before = 40; // restored by h

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
  // The slider handles its own arrow keys.
  if (event.target === slider && event.key.startsWith("Arrow")) return;
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

if (slider) {
  slider.addEventListener("input", () => set(Number(slider.value)));
  // Keep the opacity from study to study.
  const kept = sessionStorage.getItem("opacity");
  if (kept !== null) set(Number(kept));
}
