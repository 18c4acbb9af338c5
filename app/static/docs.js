// The reference, drawn by Swagger UI from the service's own description. Requests that are tried there go below this
// page, wherever a proxy has put it: without a server in the description they would go to the root of the host.

const response = await fetch("openapi.json");
const spec = { ...(await response.json()), servers: [{ url: new URL(".", location.href).href }] };
SwaggerUIBundle({ spec, dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
