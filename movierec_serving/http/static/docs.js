// Relative, so that the page also works behind a proxy's prefix.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null, // else Swagger's host would be asked for its opinion of the document
  presets: [SwaggerUIBundle.presets.apis],
});
