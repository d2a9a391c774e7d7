"""What `build` puts together, part by part: settings in, parts of the path out."""
