// The libraries as the console uses them: html`...` makes what Preact renders.
import {Component, Fragment, h, render} from './vendor/preact.js';
import {useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState} from './vendor/hooks.js';
import htm from './vendor/htm.js';

export const html = htm.bind(h);
export {Component, Fragment, h, render, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState};

// A value that views read and are drawn again for.
export function signal(value) {
  const watchers = new Set();
  return {
    get: () => value,
    set(next) {
      if (next === value) return;
      value = next;
      for (const watcher of [...watchers]) watcher(value);
    },
    watch(watcher) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  };
}

export function useSignal(source) {
  const [, draw] = useState(0);
  const shown = source.get();
  useEffect(() => {
    const leave = source.watch(() => draw((n) => n + 1));
    // It may have changed between the drawing and now, which is after the paint.
    if (source.get() !== shown) draw((n) => n + 1);
    return leave;
  }, [source]);
  return shown;
}

// `...` of a sentence is code.
export const marked = (sentence) => sentence.split('`').map((part, at) => (at % 2 ? html`<code>${part}</code>` : part));

// Is it a phone, or as narrow?
const small = matchMedia('(max-width: 720px)');
export const narrow = signal(small.matches);
small.addEventListener('change', () => narrow.set(small.matches));

// What the browser's tab and its history call the page.
export function useTitle(text) {
  useEffect(() => {
    document.title = text ? `${text} – keyferry` : 'keyferry';
  }, [text]);
}
