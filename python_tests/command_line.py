"""What the tests of the command line share."""


def assert_refused(result, *words):
    """Exit status 2, and one line on stderr with these words."""
    status, _, err = result
    assert status == 2
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    for word in words:
        assert str(word) in lines[0]


def contents(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}
