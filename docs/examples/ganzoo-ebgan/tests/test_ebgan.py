import ganzoo.testing


def test_it_does_all_that_a_recipe_must():
    ganzoo.testing.check("ebgan-mnist")
