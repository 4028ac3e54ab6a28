// Texts in the chosen language: t(key, {name: value}) puts values where {name} stands. Both tables have the same keys (tools/lint compares).
import {en} from './texts/en.js';
import {zh} from './texts/zh.js';
import {settings} from './settings.js';
import {signal} from './ui.js';

const tables = {en, zh};

function initial() {
  const chosen = settings.read('language');
  return chosen in tables ? chosen : /^zh\b/i.test(navigator.language) ? 'zh' : 'en';
}

export const language = signal(initial());

// A function of a sentence of the daemon, which speaks English: {text, known} (messages.js). null: nothing is to be translated, or the catalogue is not there yet. It is fetched only when it is needed.
export const sentences = signal(null);

let catalogue = null;

async function prepare() {
  if (language.get() === 'en') {
    sentences.set(null);
    return;
  }
  try {
    catalogue ??= Promise.all([import('./messages.js'), import('./texts/messages_zh.js')]).then(([{translator}, {messages}]) => translator(messages));
    const translate = await catalogue;
    if (language.get() !== 'en') sentences.set(translate);
  } catch {
    // Sentences stay English; the next page tries again.
    catalogue = null;
  }
}
language.watch(prepare);
prepare();

export function choose(name) {
  settings.write('language', name);
  language.set(name);
}

// A sentence of the daemon in the page's language, as far as it is known.
export const sentence = (text) => sentences.get()?.(text).text ?? text;

export function t(key, values = {}) {
  const text = tables[language.get()][key] ?? en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}

// A word of the daemon, as far as there is a text for it: state, kind of event, ...
export function word(group, name, values) {
  const key = `${group}.${name}`;
  return key in en ? t(key, values) : name;
}
