/* An empty module: importing it loads the library, whose static initialisers register the operators. */
#include <Python.h>

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_C", "The operators of resblock.", -1, NULL};

PyMODINIT_FUNC PyInit__C(void) { return PyModule_Create(&definition); }
