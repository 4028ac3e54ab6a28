// The task document as YAML, to read and to take along.
import {html, marked, useEffect, useState} from '../ui.js';
import {t} from '../words.js';
import {call, taskPath} from '../api.js';
import {download} from '../download.js';
import {Trouble} from './toast.js';

export function Sheet({task}) {
  const [text, setText] = useState('');
  const [error, setError] = useState(null);
  useEffect(() => {
    call('GET', taskPath(task.id, '/document'), {accept: 'application/yaml'}).then(setText, setError);
  }, [task.id, task.revision]);
  return html`<section class="card" aria-labelledby="document-title"><div class="bar"><h2 id="document-title">${t('document.title')}</h2>
      <button id="export" onClick=${() => download(`${task.name}.yaml`, text, 'application/yaml')}>${t('document.export')}</button></div>
    <p class="dim">${marked(t('document.text'))}</p><${Trouble} error=${error} />
    <pre class="log" tabindex="0" role="group" aria-label=${t('document.title')}>${text}</pre></section>`;
}
