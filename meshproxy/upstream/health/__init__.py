"""Active health checks: who checks what when (`checker`, `session`), how (`*_probe`), and what is written of it."""
