"""Stores on file shares: WebDAV, Google Drive and Dropbox through opendal, SFTP through the ssh program."""
