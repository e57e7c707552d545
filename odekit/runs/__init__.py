"""Files in, files out: a chain applied to many pictures, with records, resume and reports."""
