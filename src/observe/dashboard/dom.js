// Building and updating the page. Text only ever becomes text: names come from the outside world.

/** An element. `of` holds properties: `class`, `text`, `data-…`, attributes, and `onclick`-like handlers. */
export function h(tag, of = {}, ...children) {
  return furnish(document.createElement(tag), of, children);
}

/** An SVG element. */
export function svg(tag, of = {}, ...children) {
  return furnish(document.createElementNS("http://www.w3.org/2000/svg", tag), of, children);
}

function furnish(element, of, children) {
  for (const [name, value] of Object.entries(of)) {
    if (value === undefined || value === null) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Changes a text only if it differs: a selection in it survives, and nothing is laid out again for nothing. */
export function say(element, text) {
  const wanted = text ?? "";
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Changes an attribute only if it differs. */
export function mark(element, name, value) {
  const wanted = String(value);
  if (element.getAttribute(name) !== wanted) element.setAttribute(name, wanted);
}

/** Keeps one child for each item, by key, in the items' order: focus and open details survive. */
export function keep(parent, items, key, make, update) {
  const there = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = there.get(name);
    there.delete(name);
    if (!child) {
      child = make(item);
      child.dataset.key = name;
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    update(child, item);
  }
  for (const gone of there.values()) gone.remove();
}

/** The element with this id. */
export const the = (id) => document.getElementById(id);
