// What an operator may do with a job: close, cancel, retry. The page is shown anew afterwards.

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
    trouble.textContent = `That did not work: ${error.message}.`;
  }
  button.disabled = false;
}

function nothingWords(left) {
  if (left === 0) return "There is nothing to read again: the live version has read all of it.";
  return `Nothing is read again: of ${count(left)} images the uploaded bytes are gone. Send their files as a new job.`;
}
