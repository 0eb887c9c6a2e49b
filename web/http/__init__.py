"""HTTP in general: errors, security headers, forms, parameters, server."""
