// What is wrong with a document is told while it is typed: what can be known here at once, a name that is taken, and the rest by the daemon, when nothing was typed for a while.
import {useEffect, useRef} from './ui.js';
import {t} from './words.js';
import {call, get} from './api.js';
import {read} from './document.js';
import {lacks, mistakes, nameMistake, stepOf, steps, tidied, wrongOptions} from './draft.js';
import {wrongs} from './parts/field.js';

const NAME_MS = 300;
const DOCUMENT_MS = 900;

const worded = (found) => Object.fromEntries(Object.entries(found).map(([path, [key, values]]) => [path, {text: t(key, values)}]));
const isEmpty = (found) => Object.keys(found).length === 0;

// wrong: [key, values], or null: nothing (any more).
export function tell(path, wrong) {
  const {[path]: before, ...others} = wrongs.get();
  if (wrong) wrongs.set({...others, ...worded({[path]: wrong})});
  else if (before) wrongs.set(others);
}

// What the first step lacks or has wrong, in words: {path: wrong}; null: nothing.
export function firstStepWrongs(document) {
  const found = {...mistakes(document), ...lacks(document)};
  return isEmpty(found) ? null : worded(found);
}

// After an edit: what was told of what has changed is not told any more; a name is judged at once.
export function edited(before, after) {
  const same = (path) => JSON.stringify(read(before, path.replace(/\[.*/, ''))) === JSON.stringify(read(after, path.replace(/\[.*/, '')));
  const kept = Object.entries(wrongs.get()).filter(([path]) => same(path));
  if (kept.length < Object.keys(wrongs.get()).length) wrongs.set(Object.fromEntries(kept));
  if (!same('name')) tell('name', nameMistake(after.name));
}

const taskNames = () => get('/tasks').then((list) => new Set(list.items.map((task) => task.name)));

export const isTaken = (name) => taskNames().then((names) => names.has(name));
export const takenWrong = (name) => ['wizard.name_taken', {name}];

// A name as one may have it: with a number behind it where it is taken.
export async function freeName(name) {
  const names = await taskNames();
  for (let number = 1; ; number++) {
    const tail = number > 1 ? `-${number}` : '';
    const tried = `${name.slice(0, 100 - tail.length)}${tail}`;
    if (!names.has(tried)) return tried;
  }
}

// What the daemon says of the document so far: {option: wrong} of what has been gone through up to `step`, or null. What it cannot place is thrown where it cannot be later than that.
export async function checked(draft, step) {
  try {
    await call('POST', `/documents/check${draft.id ? `?secrets_of=${draft.id}` : ''}`, {body: draft.document});
    return null;
  } catch (problem) {
    if (problem.type !== 'document-invalid') throw problem;
    const found = wrongOptions(problem);
    const first = Math.min(...Object.keys(found).map(stepOf), steps.length);
    if (first <= step) return found;
    if (first === steps.length && step === steps.length - 2) throw problem;
    return null;
  }
}

// While one types in the wizard. draft: null until it was read.
export function useLiveCheck(draft) {
  const {document, step, id} = draft ?? {};
  const first = useRef(document);
  if (!first.current) first.current = document;
  const touched = document !== first.current;
  const name = document?.name;
  // What was begun before, perhaps in another language.
  useEffect(() => {
    if (document && !id) wrongs.set({...wrongs.get(), ...worded(mistakes(document))});
  }, []);
  useEffect(() => {
    if (id || !name || nameMistake(name)) return undefined;
    let left = false;
    const timer = setTimeout(() => isTaken(name).then((taken) => taken && !left && tell('name', takenWrong(name)), () => null), NAME_MS);
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, [name, id]);
  useEffect(() => {
    if (!touched || step === steps.length - 1) return undefined;
    let left = false;
    const timer = setTimeout(async () => {
      const wrong = mistakes(document);
      const clean = tidied(document);
      if (isEmpty(wrong) && isEmpty(lacks(clean))) {
        // That it cannot be asked is told when the step is left.
        const found = await checked({id, document: clean}, step).catch(() => null);
        if (!left && found) wrongs.set({...wrongs.get(), ...found});
      } else if (!isEmpty(wrong)) {
        wrongs.set({...wrongs.get(), ...worded(wrong)});
      }
    }, DOCUMENT_MS);
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, [document, step, id]);
}
