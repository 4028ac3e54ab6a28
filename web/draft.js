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

// What the first step has to have: {path: key of the texts}.
export function lacks(document) {
  const found = {};
  if (!/^(?![.-])[\w.-]{1,100}$/.test(document.name ?? '')) found.name = 'wizard.lacks_name';
  for (const [name, key] of [['source', 'wizard.lacks_source'], ['target', 'wizard.lacks_target']]) {
    const side = document[name] ?? {};
    if (isFile(side) ? !side.path : ![].concat(side.address ?? []).some(Boolean)) found[`${name}.${isFile(side) ? 'path' : 'address'}`] = key;
    if (side.mode === 'sentinel' && !side.master) found[`${name}.master`] = 'wizard.lacks_master';
  }
  return found;
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
