// The cause of a failure: what kind it is in the page's language, what happened in the daemon's words, and what to do.
import {html} from '../ui.js';
import {t, word} from '../words.js';

export const titleOf = (fault) => (fault.kind ? word('fault', fault.kind) : '');

// lead: what stands before it.
export function Fault({fault, lead}) {
  return html`<p>${lead && html`<b>${lead}</b> `}<b>${t('fault.is', {kind: titleOf(fault)})}</b> <span lang="en">${fault.text}</span></p>
    ${fault.hint && html`<p class="hint">${t('task.mend')} <span lang="en">${fault.hint}</span></p>`}`;
}
