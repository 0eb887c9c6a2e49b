// Talking to the API: one place for the forged-request token, retries and error words.

const token = document.querySelector('meta[name="csrf-token"]')?.content ?? "";
const PATIENCE = 7; // attempts; 1 + 2 + 4 + 8 + 15 + 15 seconds of waiting between them

export class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export async function getJson(url) {
  return (await get(url, "application/json")).json();
}

export async function getText(url) {
  return (await get(url, "text/html")).text();
}

async function get(url, kind) {
  const answer = await fetch(url, { headers: { Accept: kind } });
  if (!answer.ok) throw new Refused(answer.status, await wordsOf(answer));
  return answer;
}

export function postJson(url, body) {
  return post(url, JSON.stringify(body), "application/json");
}

export function post(url, body, kind) {
  return patiently(async () => {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": kind, "X-CSRFToken": token },
      body,
    });
    if (!answer.ok) throw new Refused(answer.status, await wordsOf(answer));
    return answer.json();
  });
}

// XMLHttpRequest, since fetch does not tell how far an upload is.
export function postForm(url, form, onProgress) {
  return patiently(() => sendForm(url, form, onProgress));
}

function sendForm(url, form, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("X-CSRFToken", token);
    request.responseType = "json";
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => {
      if (request.status < 300) resolve(request.response);
      else reject(new Refused(request.status, request.response?.title ?? `HTTP ${request.status}`));
    };
    request.onerror = () => reject(new Refused(0, "the connection broke, or the file changed on disk"));
    request.send(form);
  });
}

async function patiently(ask) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      const isWorthAnother = !(error instanceof Refused) || [0, 429, 500, 502, 503, 504].includes(error.status);
      if (!isWorthAnother || attempt >= PATIENCE) throw error;
      await sleep(Math.min(15000, 1000 * 2 ** (attempt - 1)));
    }
  }
}

async function wordsOf(answer) {
  try {
    return (await answer.json()).title;
  } catch {
    return `HTTP ${answer.status}`;
  }
}
