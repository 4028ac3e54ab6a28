// A modal dialog: the browser keeps the focus in it, and Escape closes it.
import {html, useEffect, useRef, useState} from '../ui.js';
import {t} from '../words.js';
import {Trouble} from './toast.js';

let titles = 0;

export function Dialog({title, wide, onClose, children}) {
  const box = useRef();
  const head = useRef();
  const id = useRef(`dialog-${++titles}`);
  useEffect(() => {
    const shown = box.current;
    const before = document.activeElement;
    shown.showModal();
    // Enter does nothing yet: what is asked is read first.
    head.current.focus();
    return () => {
      shown.close();
      before?.focus?.();
    };
  }, []);
  return html`<dialog ref=${box} class=${wide ? 'wide-dialog' : ''} aria-labelledby=${id.current} onCancel=${(event) => {
    event.preventDefault();
    onClose();
  }}>
    <div class="dialog-head"><h2 id=${id.current} ref=${head} tabindex="-1">${title}</h2>
      <button class="quiet icon-only" aria-label=${t('close')} onClick=${onClose}>×</button></div>
    ${children}
  </dialog>`;
}

// Asks before something is done. run: an async function; what it throws is shown in the dialog, which stays.
export function Confirm({title, text, points = [], action, danger, run, onClose, children}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const go = async () => {
    setBusy(true);
    setError(null);
    try {
      await run();
      onClose();
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    ${text && html`<p>${text}</p>`}
    ${points.length > 0 && html`<ul class="points">${points.map((point) => html`<li>${point}</li>`)}</ul>`}
    ${children}
    <${Trouble} error=${error} />
    <div class="buttons end">
      <button onClick=${onClose}>${t('cancel')}</button>
      <button class=${danger ? 'danger' : 'primary'} id="confirm" disabled=${busy} onClick=${go}>${action}</button>
    </div>
  <//>`;
}
