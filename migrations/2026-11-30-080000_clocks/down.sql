-- Migrations only move forward: expand, then contract.
SELECT 1;
