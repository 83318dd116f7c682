-- A request stays until it expires: whoever clicks twice is sent on twice. NULL: it waits.
ALTER TABLE authorization_requests ADD COLUMN answer TEXT;
