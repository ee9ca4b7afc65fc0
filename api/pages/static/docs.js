"use strict";
// In a file of its own: the Content-Security-Policy allows no script inside the page.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#contract",
  deepLinking: true,
  // No badge: it would send the contract's address to a server elsewhere.
  validatorUrl: null,
});
