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

export function choose(name) {
  settings.write('language', name);
  language.set(name);
}

export function t(key, values = {}) {
  const text = tables[language.get()][key] ?? en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}

// A word of the daemon, as far as there is a text for it: state, kind of event, ...
export function word(group, name, values) {
  const key = `${group}.${name}`;
  return key in en ? t(key, values) : name;
}
