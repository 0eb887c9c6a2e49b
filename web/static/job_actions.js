// What an operator may do with a job: close, cancel, retry. The page is reloaded afterwards.

import { postJson } from "./http.js";
import { count } from "./words.js";

const BODIES = {
  close: {},
  "close-without": { missing: "give_up" },
  cancel: {},
  "retry-failed": { which: "failed" },
  "retry-all": { which: "all" },
};

export async function act(button, url) {
  const trouble = document.getElementById("act-trouble");
  const act = button.dataset.act;
  button.disabled = true;
  trouble.textContent = "";
  try {
    const answer = await postJson(`${url}/${act.split("-")[0]}`, BODIES[act]);
    if (answer.retried === 0) trouble.textContent = nothingWords(answer.left);
    else location.reload();
  } catch (error) {
    trouble.textContent = `Failed: ${error.message}.`;
  }
  button.disabled = false;
}

function nothingWords(left) {
  if (left === 0) return "Nothing to retry: the production model has read all images.";
  return `Nothing to retry: the files of ${count(left)} images were deleted. Upload them as a new job.`;
}
