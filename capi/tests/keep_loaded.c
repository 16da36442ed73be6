/* Linked into the examples when they are run under AddressSanitizer: drivers stay loaded until the leaks are listed,
   so that a leak of theirs has a name and can be told from one of ours. */
int dlclose(void *library);
int dlclose(void *library) {
  (void)library;
  return 0;
}
