// A task document as YAML comes in: from a file, or pasted.
import {html, useState} from '../ui.js';
import {t} from '../words.js';
import {Dialog} from './dialog.js';
import {Trouble} from './toast.js';

// save: an async function of the YAML text. The document goes to the daemon as it is: what comes back from there has no secrets.
export function Import({save, onClose}) {
  const [text, setText] = useState('');
  const [error, setError] = useState(null);
  const check = async () => {
    try {
      await save(text);
      onClose();
    } catch (problem) {
      setError(problem);
    }
  };
  return html`<${Dialog} title=${t('import.title')} wide=${true} onClose=${onClose}>
    <p class="dim">${t('import.text')}</p>
    <label for="import-file">${t('import.file')}</label>
    <input id="import-file" type="file" accept=".yaml,.yml,.json" onChange=${async (event) => event.target.files[0] && setText(await event.target.files[0].text())} />
    <label for="import-text">${t('import.paste')}</label>
    <textarea id="import-text" class="code" rows="14" spellcheck="false" value=${text} onInput=${(event) => setText(event.target.value)}></textarea>
    <${Trouble} error=${error} />
    <div class="buttons end"><button onClick=${onClose}>${t('cancel')}</button><button class="primary" id="import-take" disabled=${!text.trim()} onClick=${check}>${t('import.take')}</button></div>
  <//>`;
}
