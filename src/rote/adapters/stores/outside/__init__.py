"""Sources of data outside: a file on the web, objects in a bucket, files in a folder."""
