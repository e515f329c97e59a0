-- Secrets print as ****; the name of an environment variable is none.
-- error: unknown option of stream `a`: `password`
CREATE STREAM a (v BIGINT) WITH (connector = 'memory', password = 'hunter2');
-- error: ACEQUIA_NO_SUCH_VARIABLE
CREATE STREAM a (v VARCHAR) WITH (connector = 'file', path = '${ACEQUIA_NO_SUCH_VARIABLE}/x', format = 'text');
-- error: unknown option of sink `o`
CREATE SINK o WITH (connector = 'console', "sasl.password" = 'hunter2');
CREATE STREAM s (v BIGINT);
-- error: unknown option of the query: `token`
SELECT v FROM s WITH (token = 'hunter2');
