// A task document as a form edits it: options by their path ('source.tls.ca'), and the document as YAML.

export function read(document, path) {
  let at = document;
  for (const name of path.split('.')) {
    if (at === null || typeof at !== 'object' || Array.isArray(at)) return undefined;
    at = at[name];
  }
  return at;
}

// A group that was given in its short form ('heartbeat: false', 'tls: true') becomes a mapping when one of its options is set.
function opened(group, name) {
  if (group !== null && typeof group === 'object' && !Array.isArray(group)) return {...group};
  return typeof group === 'boolean' && name === 'heartbeat' ? {enabled: group} : {};
}

// A changed copy. undefined, '' and [] remove the option, and groups that become empty go with it.
export function write(document, path, value) {
  const [name, ...rest] = path.split('.');
  const copy = {...document};
  if (rest.length) copy[name] = write(opened(copy[name], name), rest.join('.'), value);
  else copy[name] = value;
  const now = copy[name];
  const empty = now === undefined || now === '' || (now !== null && typeof now === 'object' && Object.keys(now).length === 0);
  if (empty) delete copy[name];
  return copy;
}

// What was typed, as a document has it: numbers, lists, JSON for what is structured. Throws where that is none.
export function parse(text, structured) {
  const typed = text.trim();
  if (/^[[{]/.test(typed)) return JSON.parse(typed);
  if (structured && typed.includes(',')) return typed.split(',').map((part) => parse(part, false)).filter((part) => part !== '');
  return /^(0|-?[1-9]\d{0,14})$/.test(typed) ? Number(typed) : typed;
}

export function show(value) {
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

const plain = /^[A-Za-z_/][\w./-]*$/;
const words = /^(true|false|yes|no|on|off|null|~|y|n)$/i;

// A JSON text is a YAML one; what needs no quotes goes without.
function scalar(value) {
  return typeof value === 'string' && (!plain.test(value) || words.test(value)) ? JSON.stringify(value) : String(value);
}

function lines(value, indent) {
  if (Array.isArray(value)) return value.map((item) => (typeof item === 'object' ? `${indent}- ${JSON.stringify(item)}` : `${indent}- ${scalar(item)}`));
  return Object.entries(value).flatMap(([name, member]) => {
    const key = `${indent}${scalar(name)}:`;
    return member !== null && typeof member === 'object' ? [key, ...lines(member, `${indent}  `)] : [`${key} ${scalar(member)}`];
  });
}

export const yaml = (document) => `${lines(document, '').join('\n')}\n`;
