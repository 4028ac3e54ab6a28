// A task document as YAML comes in: from a file, or pasted. It is read by the daemon as soon as it is there, and what is wrong in it is told with its line.
import {html, marked, useEffect, useRef, useState} from '../ui.js';
import {t} from '../words.js';
import {call} from '../api.js';
import {isTaken, takenWrong} from '../check.js';
import {Dialog} from './dialog.js';
import {Icon} from './icon.js';
import {Trouble} from './toast.js';

const PAUSE_MS = 500;

// {error, good: its name}. task: whose document it shall replace; null: a new one's.
async function judged(text, task) {
  try {
    const {document} = await call('POST', `/documents/check${task ? `?secrets_of=${task.id}` : ''}`, {yaml: text});
    if (task ? document.name !== task.name : await isTaken(document.name)) {
      return {error: new Error(t(...(task ? ['import.other_name', {name: document.name, own: task.name}] : takenWrong(document.name))))};
    }
    return {good: document.name};
  } catch (error) {
    return {error};
  }
}

// The line that is at fault, with its number; a button leads to it.
function Place({text, line, show}) {
  return html`<p class="place"><button class="small-button" id="import-line" onClick=${show}>${t('import.line', {line})}</button> <code>${text.split('\n')[line - 1]}</code></p>`;
}

// save: an async function of the YAML text. The document goes to the daemon as it is: what comes back from there has no secrets.
export function Import({save, task, onClose}) {
  const [text, setText] = useState('');
  const [{error, good}, setJudged] = useState({});
  const field = useRef();
  useEffect(() => {
    setJudged({});
    if (!text.trim()) return undefined;
    let left = false;
    const timer = setTimeout(() => judged(text, task).then((found) => left || setJudged(found)), PAUSE_MS);
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, [text]);
  const check = async () => {
    try {
      await save(text);
      onClose();
    } catch (problem) {
      setJudged({error: problem});
    }
  };
  const line = error?.errors?.find((one) => one.line)?.line;
  const show = () => {
    const lines = text.split('\n');
    const begin = lines.slice(0, line - 1).reduce((at, one) => at + one.length + 1, 0);
    field.current.focus();
    field.current.setSelectionRange(begin, begin + lines[line - 1].length);
    field.current.scrollTop = (line - 3) * (field.current.scrollHeight / lines.length);
  };
  return html`<${Dialog} title=${t('import.title')} wide=${true} onClose=${onClose}>
    <p class="dim">${marked(t('import.text'))}</p>
    <label for="import-file">${t('import.file')}</label>
    <input id="import-file" type="file" accept=".yaml,.yml,.json" onChange=${async (event) => event.target.files[0] && setText(await event.target.files[0].text())} />
    <label for="import-text">${t('import.paste')}</label>
    <textarea id="import-text" ref=${field} class="code" rows="14" spellcheck="false" value=${text} onInput=${(event) => setText(event.target.value)}></textarea>
    <${Trouble} error=${error} />
    ${line > 0 && line <= text.split('\n').length && html`<${Place} text=${text} line=${line} show=${show} />`}
    ${good && html`<p class="verdict good" role="status" id="import-good"><${Icon} name="check" />${t('import.good', {name: good})}</p>`}
    <div class="buttons end"><button onClick=${onClose}>${t('cancel')}</button><button class="primary" id="import-take" disabled=${!text.trim()} onClick=${check}>${t('import.take')}</button></div>
  <//>`;
}
