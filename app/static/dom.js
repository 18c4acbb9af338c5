// Elements of the page by id, and new ones. Everything that came from a text is set as text, never as HTML.

export const $ = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// Arrow keys move between the controls of a group, of which Tab reaches one. `moved` is told where to.
export function arrows(event, controls, [back, forth], moved) {
  const places = { [back]: -1, [forth]: 1, Home: -Infinity, End: Infinity };
  const step = places[event.key];
  const at = controls.indexOf(event.target);
  if (!step || at < 0) return;
  event.preventDefault();
  const last = controls.length - 1;
  const next = Number.isFinite(step) ? (at + step + controls.length) % controls.length : step < 0 ? 0 : last;
  moved(controls[next]);
}
