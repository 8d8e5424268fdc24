"use strict";

// Asks for a key, fetches the document with it, and sends it with every request tried out.
const form = document.getElementById("asking");
const said = document.getElementById("said");

async function fetched(key) {
  const answer = await fetch("/docs/openapi.json", { headers: { Authorization: `Bearer ${key}` } });
  const body = await answer.json();
  if (!answer.ok) {
    throw new Error(body.detail);
  }
  return body;
}

function show(spec, key) {
  form.hidden = true;
  window.SwaggerUIBundle({
    spec,
    dom_id: "#document",
    deepLinking: false,
    validatorUrl: null,
    onComplete: () => document.body.setAttribute("data-shown", "yes"),
    requestInterceptor: (request) => {
      request.headers.Authorization = `Bearer ${key}`;
      return request;
    },
  });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const key = document.getElementById("key").value.trim();
  said.textContent = "";
  try {
    show(await fetched(key), key);
  } catch (error) {
    said.textContent = error.message;
  }
});
