def test_x(open_page):
    at = open_page("regulator", "results")
    print(at.exception, at.error)
    assert 0
