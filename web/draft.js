// A task document that is being made: what was begun, what is missing in it, and what the daemon finds wrong with it.
import {session} from './api.js';
import {write} from './document.js';

export const steps = ['sides', 'databases', 'filters', 'advanced', 'precheck'];

// Stays while one looks elsewhere in the page, or changes its language. saved: the document as it was last stored, as text.
export const fresh = () => ({document: {}, step: 0, id: null, revision: 0, saved: null});
let kept = fresh();
export const begun = () => kept;
export const keep = (draft) => {
  kept = draft;
};
// With what somebody typed, secrets too, it ends with his session.
session.watch((me) => {
  if (!me) kept = fresh();
});

// Of a task that is stored.
export const taken = (task) => ({document: task.document, step: 0, id: task.id, revision: task.revision, saved: JSON.stringify(task.document), state: task.state});

export const isFile = (side) => ['rdb', 'aof', 'jsonl'].includes(side?.mode);

// What the first step has to have: {path: [key of the texts, values]}.
export function lacks(document) {
  const found = {};
  if (!document.name) found.name = ['wizard.lacks_name'];
  for (const [name, key] of [['source', 'wizard.lacks_source'], ['target', 'wizard.lacks_target']]) {
    const side = document[name] ?? {};
    if (isFile(side) ? !side.path : ![].concat(side.address ?? []).some(Boolean)) found[`${name}.${isFile(side) ? 'path' : 'address'}`] = [key];
    if (side.mode === 'sentinel' && !side.master) found[`${name}.master`] = ['wizard.lacks_master'];
  }
  return found;
}

const NAME_BYTES = 100;
const HOST_BYTES = 255;
const SOCKET_BYTES = 107;

// What is wrong with a name, by the daemon's rule: [key of the texts, values], or null.
export function nameMistake(name) {
  if (!name) return null;
  const odd = /[^\w.\-\u0080-\uffff]/.exec(name);
  if (odd) return odd[0].trim() ? ['wizard.name_character', {character: odd[0]}] : ['wizard.name_blank'];
  if (/^[.-]/.test(name)) return ['wizard.name_begin'];
  const size = new TextEncoder().encode(name).length;
  if (size > NAME_BYTES) return ['wizard.name_long', {count: size}];
  return /^\d+$/.test(name) ? ['wizard.name_number'] : null;
}

// Likewise of an address: host:port, [IPv6]:port, a host alone, the path of a socket. What may hold a password is not repeated.
export function addressMistake(text) {
  if (text.includes('@')) return ['wizard.address_user'];
  const scheme = /^\w+:\/\//.exec(text);
  if (scheme) return ['wizard.address_scheme', {scheme: scheme[0]}];
  if (text.startsWith('/')) return text.length > SOCKET_BYTES ? ['wizard.address_socket'] : null;
  const bare = !text.startsWith('[') && text.split(':').length > 2;
  const [, bracketed, host, port] = (bare ? [text, undefined, text] : /^(?:\[([^[\]]*:[^[\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(text)) ?? [];
  if (!/^[!-~]+$/.test(bracketed ?? host ?? '') || /[/[\]"']/.test(bracketed ?? host) || (bracketed ?? host).length > HOST_BYTES) return ['wizard.address_wrong', {address: text}];
  return port !== undefined && !(/^\d{1,5}$/.test(port) && port > 0 && port < 65536) ? ['wizard.address_port', {address: text}] : null;
}

export const addressesMistake = (list) => [].concat(list ?? []).filter(Boolean).map((text) => addressMistake(String(text))).find(Boolean) ?? null;

// What can be seen to be wrong in the first step without asking anybody: {path: [key of the texts, values]}.
export function mistakes(document) {
  const found = {name: nameMistake(document.name)};
  for (const name of ['source', 'target']) if (!isFile(document[name])) found[`${name}.address`] = addressesMistake(document[name]?.address);
  return Object.fromEntries(Object.entries(found).filter(([, wrong]) => wrong));
}

// A name for who gives none, of both places; empty before they are known.
export function suggestedName(document) {
  const [from, to] = [document.source, document.target].map((side) => String([].concat(side?.address ?? side?.path ?? [])[0] ?? '').replace(/^.*\//, '').replace(/[^\w.-]+/g, '-').replace(/^[.-]+|-+$/g, ''));
  return from && to ? `${from}-to-${to}`.slice(0, NAME_BYTES) : '';
}

// Without what was begun and left empty: a rule of an empty prefix would mean every key.
const isRule = (rule) => typeof rule === 'object' && Object.values(rule).some((value) => value !== '');

export function tidied(document) {
  const copy = JSON.parse(JSON.stringify(document));
  for (const side of [copy.source, copy.target]) if (Array.isArray(side?.address)) side.address = side.address.filter(Boolean);
  for (const list of ['allow', 'block']) if (copy.filter?.[list]) copy.filter[list] = [].concat(copy.filter[list]).filter(isRule);
  return ['allow', 'block'].reduce((made, list) => (made.filter?.[list] ? write(made, `filter.${list}`, made.filter[list]) : made), copy);
}

// The step that shows an option.
export function stepOf(option) {
  if (/^(source\.databases|target\.database_map)\b/.test(option)) return 1;
  if (/^(filter|limit)\b/.test(option)) return 2;
  if (/^(name|(source|target)\.(mode|address|username|password|path|master|tls|tls\.ca|tls\.insecure|sentinel\.password))(\[|$)/.test(option)) return 0;
  return 3;
}

// Of a refusal of a document: {option: what is wrong}, without the place that the words begin with.
export function wrongOptions(problem) {
  const named = (problem.errors ?? []).filter((one) => one.option);
  const missing = /^([\w.]+) is missing: /.exec(problem.told ?? '');
  if (!named.length && missing) return {[missing[1]]: {text: problem.told, told: true}};
  return Object.fromEntries(named.map((one) => [one.option, {text: `${one.detail.replace(/^(document:)?\d*:? ?option '[^']*':? /, '')}${problem.hint ? ` (${problem.hint})` : ''}`, told: true}]));
}
