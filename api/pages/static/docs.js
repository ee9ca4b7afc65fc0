"use strict";
// A file, because the Content-Security-Policy forbids inline scripts.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#contract",
  deepLinking: true,
  // No validator badge: it would send the URL of the contract to another server.
  validatorUrl: null,
});
