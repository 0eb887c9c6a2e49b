// Chosen or dropped files as a list of {file, path}.

export function fromInput(input) {
  return [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
}

// The entries must be taken before the drop event ends; reading them takes longer.
export function fromDrop(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  return walkAll(entries);
}

async function walkAll(entries) {
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, path: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // A browser hands out a hundred entries at a time; an empty answer is the end.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const inner of some) await walk(inner, found);
  }
}

export function nameOf(items) {
  const top = new Set(items.map(({ path }) => path.split("/")[0]));
  const [first] = top;
  if (top.size === 1) return first;
  return `${items.length} files, ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

// Names files as the service does (clean_file_name in web/http/forms.py), to compare both.
export function cleanPath(path) {
  const parts = path.replaceAll("\\", "/").split("/").map(cleanPart);
  const kept = parts.filter((part) => part && part !== "." && part !== "..");
  return kept.join("/");
}

function cleanPart(part) {
  const visible = part.replace(/\p{C}/gu, "").normalize("NFC").trim();
  return [...visible].slice(-255).join("");
}
