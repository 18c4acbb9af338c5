// The body of a request for a task over the documents of the page: JSON of a pasted text, or a form with files. This
// module knows the format of requests, and does not know the forms on the page.

// {task, fields, files}. With files, the fields are those of the form next to them; without, they are all of the JSON.
export function requestOf(task, fields, documents) {
  const files = documents.map((document) => document.file).filter(Boolean);
  if (files.length) return { task, fields, files };
  return { task, fields: { ...fields, documents: documents.map(({ name, text }) => ({ id: name, text })) }, files };
}

// The values of a form, in order: a list is a field that stands several times.
export function parts(fields) {
  return Object.entries(fields).flatMap(([name, value]) => [value].flat().map((one) => [name, String(one)]));
}

// The documents of a response by the names that it has for them; they come in the order in which they were sent.
export function byName(response, documents) {
  return new Map(response.documents.map(({ document }, index) => [document, documents[index]]));
}
