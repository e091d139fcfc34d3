-- name: role
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)

-- name: create
CREATE ROLE {role} NOLOGIN

-- name: use_schema
GRANT USAGE ON SCHEMA arceaux TO {role}

-- name: grants
SELECT relname::text, privilege_type
FROM pg_class, aclexplode(relacl) AS held JOIN pg_roles ON pg_roles.oid = grantee
WHERE relnamespace = 'arceaux'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND rolname = %s

-- name: grant
GRANT {privilege} ON {table} TO {role}

-- name: revoke
REVOKE {privilege} ON {table} FROM {role}
