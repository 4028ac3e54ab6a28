// The limits of a task: a size of the list, or numbers of one's own.
import {html, useState} from '../ui.js';
import {t} from '../words.js';
import {put, taskPath} from '../api.js';
import {number} from '../format.js';
import {Confirm} from './dialog.js';
import {say} from './toast.js';

export const sizes = {micro: 200, small: 2000, medium: 5000, large: 11000, xlarge: 17000, '2xlarge': 34000, '4xlarge': 68000};

const sizeOf = (records) => Object.keys(sizes).find((name) => sizes[name] === records) ?? (records ? 'own' : 'unlimited');

// records and mebibytes per second; 0: unlimited. change: function of both.
export function LimitFields({records, mebibytes, change}) {
  const [size, setSize] = useState(sizeOf(records));
  const choose = (name) => {
    setSize(name);
    if (name !== 'own') change(sizes[name] ?? 0, mebibytes);
  };
  return html`<div class="fields">
    <div class="field"><label for="limit-size">${t('limit.size')}</label>
      <select id="limit-size" value=${size} onChange=${(event) => choose(event.target.value)}>
        <option value="unlimited">${t('limit.none')}</option>
        ${Object.entries(sizes).map(([name, count]) => html`<option value=${name}>${name} – ${t('rate.records', {count: number(count)})}</option>`)}
        <option value="own">${t('limit.own')}</option></select></div>
    ${size === 'own' && html`<div class="field"><label for="limit-records">${t('limit.records')}</label>
      <input id="limit-records" type="number" min="0" max="1000000000" value=${records} onInput=${(event) => change(Number(event.target.value) || 0, mebibytes)} /></div>`}
    <div class="field"><label for="limit-bytes">${t('limit.mebibytes')}</label>
      <input id="limit-bytes" type="number" min="0" max="1000000" step="any" value=${mebibytes} onInput=${(event) => change(records, Number(event.target.value) || 0)} /></div>
  </div>`;
}

export function Limits({task, onClose, onDone}) {
  const [records, setRecords] = useState(task.limit.records_per_second);
  const [mebibytes, setMebibytes] = useState(Math.round(task.limit.bytes_per_second / 1048576 * 1000) / 1000);
  return html`<${Confirm} title=${t('limit.title')} text=${t('limit.text')} action=${t('limit.apply')} onClose=${onClose} run=${async () => {
    await put(taskPath(task.id, '/limits'), {records_per_second: records, bytes_per_second: Math.round(mebibytes * 1048576)});
    say(t('done.limits'));
    onDone();
  }}><${LimitFields} records=${records} mebibytes=${mebibytes} change=${(a, b) => {
    setRecords(a);
    setMebibytes(b);
  }} /><//>`;
}
