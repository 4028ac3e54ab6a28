// A list that is read page by page, the newest first.
import {html, useEffect, useState} from '../ui.js';
import {t} from '../words.js';
import {get} from '../api.js';
import {Trouble} from './toast.js';

// {items, error, more: null or a function}. revision: it is read again from its beginning when that changes.
export function usePages(path, revision) {
  const [items, setItems] = useState([]);
  const [next, setNext] = useState(null);
  const [error, setError] = useState(null);
  const read = (before) => get(`${path}?limit=100${before ? `&before=${before}` : ''}`).then((page) => {
    setItems((old) => (before ? [...old, ...page.items] : page.items));
    setNext(page.next);
    setError(null);
  }, setError);
  useEffect(() => {
    read();
  }, [path, revision]);
  return {items, error, more: next ? () => read(next) : null};
}

export function More({pages}) {
  return html`<${Trouble} error=${pages.error} />${pages.more && html`<button class="quiet more" onClick=${pages.more}>${t('logs.more')}</button>`}`;
}
