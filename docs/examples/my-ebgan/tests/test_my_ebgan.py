import ganzoo.testing


def test_it_passes_all_checks():
    ganzoo.testing.check("my-ebgan-mnist")
