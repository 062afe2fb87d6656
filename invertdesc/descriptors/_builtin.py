"""The modules of the built-in adapters; each is imported on first use."""

BUILTIN = {
    "akaze": "invertdesc.descriptors.akaze:Akaze",
    "beblid": "invertdesc.descriptors.beblid:Beblid",
    "boostdesc": "invertdesc.descriptors.boostdesc:BoostDesc",
    "brief": "invertdesc.descriptors.brief:Brief",
    "brisk": "invertdesc.descriptors.brisk:Brisk",
    "daisy": "invertdesc.descriptors.daisy:Daisy",
    "freak": "invertdesc.descriptors.freak:Freak",
    "hardnet": "invertdesc.descriptors.hardnet:HardNet",
    "hog": "invertdesc.descriptors.hog:Hog",
    "hog-opencv": "invertdesc.descriptors.hog_opencv:HogOpenCV",
    "hog-uoctti": "invertdesc.descriptors.hog_uoctti:HogUoctti",
    "hynet": "invertdesc.descriptors.hardnet:HyNet",
    "kaze": "invertdesc.descriptors.kaze:Kaze",
    "latch": "invertdesc.descriptors.latch:Latch",
    "mkd": "invertdesc.descriptors.mkd:Mkd",
    "orb": "invertdesc.descriptors.orb:Orb",
    "rootsift": "invertdesc.descriptors.sift:RootSift",
    "sift": "invertdesc.descriptors.sift:Sift",
    "sift-dense": "invertdesc.descriptors.sift_dense:SiftDense",
    "sift-kornia": "invertdesc.descriptors.sift_kornia:SiftKornia",
    "sosnet": "invertdesc.descriptors.hardnet:SosNet",
    "teblid": "invertdesc.descriptors.beblid:Teblid",
    "vgg": "invertdesc.descriptors.vgg:Vgg",
}
# What reads the files whose paths are names too, by how these end.
FILES = {".safetensors": "invertdesc.descriptors.stored:load_stored"}
