"""Where the files of a version land on an application's machine: its cache, or a folder of the user's."""
