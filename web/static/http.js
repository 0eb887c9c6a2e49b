// Requests to the API: CSRF token, retries and error messages.

// The path below which a proxy serves the portal. It is put before every requested path here.
export const base = document.documentElement.dataset.base;

const token = document.querySelector('meta[name="csrf-token"]')?.content ?? "";
const PATIENCE = 8; // attempts; 1 + 2 + 4 + 8 + 15 + 15 + 15 seconds of waiting between them
const LONGEST_PAUSE_MS = 15000;
const PASSING = [0, 429, 500, 502, 503, 504, 507]; // worth another attempt
const AWAY = "the service does not respond";

export class Refused extends Error {
  constructor(status, words, offset = null) {
    super(words);
    this.status = status;
    this.offset = offset; // where an upload has to continue
  }
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export async function getJson(url, patience) {
  return patience ? patiently(() => askJson(url), patience) : askJson(url);
}

async function askJson(url) {
  return (await get(url, "application/json")).json();
}

export async function getText(url) {
  return (await get(url, "text/html")).text();
}

async function get(url, kind) {
  const answer = await fetch(base + url, { headers: { Accept: kind } });
  if (!answer.ok) throw new Refused(answer.status, await wordsOf(answer));
  return answer;
}

export function postJson(url, body, patience) {
  return post(url, JSON.stringify(body), "application/json", patience);
}

export function post(url, body, kind, patience) {
  return patiently(async () => {
    const answer = await fetch(base + url, {
      method: "POST",
      headers: { "Content-Type": kind, "X-CSRFToken": token },
      body,
    });
    if (!answer.ok) throw new Refused(answer.status, await wordsOf(answer));
    return answer.json();
  }, patience);
}

export function patchBytes(url, bytes, headers, onProgress, patience) {
  return patiently(() => patch(url, bytes, headers, onProgress), patience);
}

// XMLHttpRequest, since fetch reports no progress of an upload.
function patch(url, bytes, headers, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PATCH", base + url);
    const sent = { "X-CSRFToken": token, "Content-Type": "application/offset+octet-stream", ...headers };
    for (const [name, value] of Object.entries(sent)) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => {
      if (request.status < 300) resolve(request.response);
      else reject(refusal(request));
    };
    request.onerror = () => reject(new Refused(0, AWAY));
    request.send(bytes);
  });
}

function refusal(request) {
  const offset = request.getResponseHeader("Upload-Offset");
  const words = request.response?.title ?? `HTTP ${request.status}`;
  return new Refused(request.status, words, offset === null ? null : Number(offset));
}

// patience: {attempts, onWait}; onWait(words) is called before each pause.
async function patiently(ask, { attempts = PATIENCE, onWait = () => {} } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      const isPassing = !(error instanceof Refused) || PASSING.includes(error.status);
      // An internal error may be a restarting database; otherwise it will not go away.
      if (!isPassing || attempt >= (error.status === 500 ? PATIENCE : attempts)) throw error;
      onWait(waitingWords(error));
      await pause(Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** Math.min(attempt - 1, 4)));
    }
  }
}

function waitingWords(error) {
  if (!navigator.onLine) return "this computer is offline";
  return error.status === 507 ? "the disk of the service is nearly full" : AWAY;
}

// Ends early when the network comes or goes.
async function pause(ms) {
  const over = new AbortController();
  const changes = ["online", "offline"].map(
    (kind) => new Promise((done) => addEventListener(kind, done, { once: true, signal: over.signal })),
  );
  await Promise.race([sleep(ms), ...changes]);
  over.abort();
}

export async function wordsOf(answer) {
  try {
    return (await answer.json()).title;
  } catch {
    return `HTTP ${answer.status}`;
  }
}
